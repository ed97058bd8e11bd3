"""What is asked and how answers are judged.

``index`` lists tasks without importing lm-eval, ``lm_eval_bridge`` turns any lm-eval task
configuration into an :class:`~slmbench.requests.ItemSet`, ``scorers`` judge outputs, and
``backend_lm`` lets lm-eval's own evaluator run on one of our backends.
"""
