"""Where data sets come from: a local folder, the cache, the hub, or a wheel pinned by hash.

``catalogue`` says what exists, ``providers`` finds or fetches it, ``wheels`` reads wheels.
"""
