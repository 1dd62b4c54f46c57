"""Where eyes, nose and mouth are in an aligned face: the only place that says it.

Points are (x, y) in pixels; (0, 0) is the center of the top left pixel. The order is always: eye,
eye, nose, corner of the mouth, corner of the mouth, and of both kinds the one further left in the
picture first (the person's right).
"""

LANDMARK_NAMES = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")

# The five points that ArcFace, InsightFace and their kin are trained with, for 112 x 112 pixels.
POINTS_112 = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
