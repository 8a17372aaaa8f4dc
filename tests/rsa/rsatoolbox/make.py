"""rsatoolbox's file of RDMs and its answers for these, made once with rsatoolbox 0.3.2: python make.py <folder>.

rdms.hdf5: correlation and Euclidean distances of 8 conditions' 5 normal numbers, as ``RDMs.save(..., "hdf5")`` writes
them. answers.csv: ``compare`` of both with the Euclidean distances of other normal numbers, in reference.csv.
"""

import sys
from pathlib import Path

import numpy as np
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs, calc_rdm, compare

folder = Path(sys.argv[1])
names = [f"n{number:08d}" for number in (2084071, 2121808, 1503061, 2512053, 4379243, 3001627, 2958343, 3790512)]
rng = np.random.default_rng(0)
made = [
    calc_rdm(Dataset(rng.standard_normal((8, 5)), obs_descriptors={"class": names}), method, "class")
    for method in ("correlation", "euclidean", "euclidean")
]
layers = RDMs(
    np.concatenate([one.dissimilarities for one in made[:2]]),
    rdm_descriptors={"layer": ["early", "late"]},
    pattern_descriptors={"class": names},
)
layers.save(str(folder / "rdms.hdf5"), "hdf5", overwrite=True)
np.savetxt(folder / "reference.csv", made[2].get_matrices()[0], delimiter=",")
answers = {method: compare(layers, made[2], method).ravel() for method in ("corr", "spearman")}
lines = ["layer,corr,spearman"] + [
    f"{n},{answers['corr'][i]!r},{answers['spearman'][i]!r}" for i, n in enumerate(("early", "late"))
]
(folder / "answers.csv").write_text("\n".join(lines).replace("np.float64(", "").replace(")", "") + "\n")
