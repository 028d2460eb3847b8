"""CT files: `header` one file's attributes, `series` a folder to a checked series, `geometry` where a point lies in it,
`pixels` HU and the crop, `nodule` all of it for one nodule; `secondary` writes drawn follow-ups as DICOM."""
