"""AutoRad-Lung, the second system: one nodule image, radiomics and words to three classes, "unsure" among them.

`crops` cuts twice the diameter, `encoders` makes it numbers, `pretrain` says what its small models learn from."""
