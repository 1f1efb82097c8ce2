"""The only door to the compiled extension, and the plain NumPy twins of its kernels.

Imports nothing of ours.
"""
