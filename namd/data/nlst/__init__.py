"""A delivery to a cohort. Tables: `csv_file` text, `rows` numbers and rules, `tables` all files. Nodules: `centres`
where a row of a list puts one, `boxes` where a report does, `lists` all of them, `participants` all of one person,
`links` one year to the next, `labels` benign or malignant, `crops` their images, `settle` what the images tell of them.
`reading` reads in many processes, `pieces` keeps what is read, `outcome` decides what becomes of each nodule, `build`
writes the cohort; `fingerprint` says whether the delivery is still the same.
"""
