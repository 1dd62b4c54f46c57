"""From raw photos to aligned faces.

    photos.py      finds and reads photos
    networks.py    the three networks of MTCNN
    detection.py   MTCNN: a picture -> faces with five landmarks
    search.py      the same for a photo of any size and orientation
    faces.py       a face, and which of several is the most important
    template.py    where the landmarks belong, and the transform that brings them there
    warp.py        cuts the aligned face out of the photo
    align.py       all of that for a folder: what tfface align does
    report.py sheet.py   report.csv; contact_sheet.png

Only `networks` and `detection` import TensorFlow.
"""
