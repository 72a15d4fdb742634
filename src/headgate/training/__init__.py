"""Learning: matched sizes, a plain loop, one trial (task, cell, seed), and many trials on several processes.

This file imports nothing, so that a program can plan trials and read their run folder without importing torch.
"""
