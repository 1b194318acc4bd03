"""What a video's clips are made from: cuts, features of frames and the camera's motion, in one pass.

`survey` reads the video; an embedder (`layout`, without weights, or `siglip`) turns frames into features.
"""
