"""Verification of an embedder on a template set: from images to figures."""

from tfface.data.pairs.template_set import TemplateSet
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import Embedder
from tfface.evaluation.embedders.embedding import embed_batches
from tfface.images.decoding import decode_batches
from tfface.metrics.templates import TemplatePool, template_verification
from tfface.metrics.verification import VerificationResult


def verify_templates(
    embedder: Embedder, template_set: TemplateSet, *, use_scores: bool = True
) -> VerificationResult:
    """Embeds each image once, pools embeddings to templates, and returns the figures of the pairs.

    Where the set has landmarks, faces are aligned to the embedder's size; where not, images of
    another size are resized to it. Embeddings are summed up as they come and not kept.

    Args:
        use_scores: weigh images by their detection scores, where the set has any.
    Raises InputError: an image can't be decoded, or an embedding or a template has no direction.
    """
    pool = TemplatePool(
        template_set.entry_image,
        template_set.entry_template,
        template_set.entry_medium,
        scores=template_set.scores if use_scores else None,
        image_names=template_set.image_names,
        template_names=template_set.template_numbers,
    )
    faces = template_set.faces(*embedder.image_size)
    try:
        for embeddings in embed_batches(
            embedder, faces, template_set.image_names, what=template_set.name
        ):
            pool.add(embeddings)
        templates = pool.templates()
    except InputError as error:
        raise InputError(f"{template_set.name}: {error}") from error
    return template_verification(
        templates,
        template_set.first,
        template_set.second,
        template_set.is_genuine,
        embedding_norm=pool.embedding_norm,
    )


def check_template_set(template_set: TemplateSet) -> None:
    """Decodes every image once, so that none that can't be is found after hours.

    Raises InputError: an image can't be decoded (the message names it).
    """
    # The size that aligned faces have, so that most of these needn't be resized for nothing.
    for _ in decode_batches(template_set.images(), template_set.image_names, (112, 112), 256):
        pass
