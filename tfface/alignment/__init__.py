"""From raw photos to aligned faces.

    photos.py      finds and reads photos
    detection.py   MTCNN: a picture -> faces with five landmarks
    faces.py       the same for a photo of any size and orientation; which of several is the
                   most important
    template.py    where the landmarks belong, and the cut that brings them there
    photo_faces.py all of that for one photo in memory
    align.py       all of that for a folder: what tfface align does
    report.py      report.csv and contact_sheet.png

Only `detection` imports TensorFlow.
"""
