"""Whether what is tested was seen before. `sets`: whom and which images the splits of a cohort hold, LIDC's readings,
and the training of a model (`shipped`: its MANIFEST.json); `common`: what two sets share.
"""
