"""Video to frames a lag apart: probing, decoding, the frame store, pairs of frames."""
