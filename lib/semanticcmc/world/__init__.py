"""The miniature movie world: films whose truth is known, in the formats of real ones.

A *timeline* says which scene, beat and shot runs when, and which classes are in it (`timeline`). A class's look
latent becomes a picture of one object (`objects`), the *renderer* puts objects into places before a camera
(`renderer`, `places`), a *detector* labels what is in view (`labels`). `build` writes it all; `truth` has what an
estimator should find.
"""
