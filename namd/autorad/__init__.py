"""How does AutoRad-Lung, the second system, read a nodule? An image, radiomics and words to benign, unsure, malignant.

`crops` cuts twice the diameter, `encoders` makes it numbers, `pretrain` says what its small models learn from;
`radiomics` measures the slice, as `extraction` asks a library; `texts` is the tower of the words, `prompts` learns
them; `folds` cross-validates an arm, `controls` what needs no words, both by `tuning`'s rules."""
