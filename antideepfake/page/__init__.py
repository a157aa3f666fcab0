"""The page of ``antideepfake serve``: for people with a recording, and an API for programs.

:mod:`antideepfake.page.app` needs gradio (``pip install "speechbrain-antideepfake[web]"``); the other modules do not.
"""
