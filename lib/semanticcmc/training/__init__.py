"""Pairs of frames to a trained network."""
