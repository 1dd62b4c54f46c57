"""A page in the browser to try a model: `tfface demo`.

    photo_answers.py    what the page may ask, and the answers
    server.py           who may ask, and how: HTTP on this machine only
    templates/          the page

It is built on the standard library: Gradio would bring a web framework for two forms, and keeps
uploads on disk.
"""
