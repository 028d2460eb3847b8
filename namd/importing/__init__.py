"""The authors' own checkpoints as a folder that `predict` and notebook 05 open, made by the command `import`.

`checkpoints` opens their files as numbers and tells them apart, `convert` names their weights as diffusers and the
judge do, `scale` reads the factor on the latents, `command` writes the folder, with what `card` says of it.
"""
