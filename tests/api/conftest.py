"""The detector of dots in place of MTCNN, which knows no such faces."""

import pytest

import tfface.api.faces
import tfface.gallery.photos
from tests.api.dot_photos import GroupDetector


@pytest.fixture
def dot_detector(monkeypatch):
    """All photos of a test are searched for faces of dots."""
    for module in (tfface.api.faces, tfface.gallery.photos):
        monkeypatch.setattr(module, "shared_detector", GroupDetector)
