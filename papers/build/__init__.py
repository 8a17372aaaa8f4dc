"""Poster, paper and site from the tables of an experiment."""
