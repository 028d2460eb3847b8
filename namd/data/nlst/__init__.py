"""A delivery to a cohort. Tables: `csv_file` text, `rows` numbers and rules, `tables` all files. Nodules: `centres`
where lists put them, `participants` all of one person, `links` T0 to T1, `labels` benign or malignant, `crops` their
images. `build` writes the cohort; `fingerprint` says whether the delivery is still the same.
"""
