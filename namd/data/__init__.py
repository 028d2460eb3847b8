"""The data. `cohort` is what every model reads; `nlst` and `lidc` make it of a delivery, with `dicom` for its images
and `writing` for its own files; `phantom` writes a synthetic delivery. `report` says a record in words and numbers,
`record` reads one that a user wrote, `brock` is the risk by the record alone; `refused` holds the reasons for which an
input is left out; `images` windows, crops and turns; `codes` says what a number of a table means; `folders` finds
files.
"""
