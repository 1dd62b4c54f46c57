"""Verification sets of templates: some images of a person each, and pairs of these."""

from tfface.data.template_sets.ijb_folder import load_template_set
from tfface.data.template_sets.template_set import TemplateSet

__all__ = ["TemplateSet", "load_template_set"]
