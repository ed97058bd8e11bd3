"""Requests on a server, sent when they are due, with every answer's times kept.

``arrivals`` and ``prompts`` say when and what, ``client`` asks one thing, ``driver`` carries a
load out, ``figures`` makes measurements of what came back, ``mock_server`` is a server whose true
times are known. Only ``client`` and ``driver`` need aiohttp (extra ``serving``).
"""
