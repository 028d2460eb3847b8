"""Open NLST from IDC's public bucket: `index` where a series lies, `bucket` anonymous reads, `slices` which objects a
nodule needs, `series` one series on the disk, `tables` clinical tables, `public` nodule lists, `plan` which series,
`summary` how much it is, `work` many series at once, `fetch` the command.
"""
