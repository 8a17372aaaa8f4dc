"""Draws the study of photographs."""

ALT = ""


def draw(*a):
    pass
