"""What the bench does, a function a verb: `headgate.train`, `headgate.evaluate`, ...; the commands only call them.

This file imports nothing, so that a prediction need not wait for what training needs.
"""
