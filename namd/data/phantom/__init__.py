"""Synthetic deliveries. Who: `law` subjects and risk, `growth` a year, `registry` the tables. Images: `anatomy`,
`visit`, `coverage`, `texture`, `render` a slice, `scanner` a series, `dicom_writer` its files. `delivery` writes all of
it as NLST, and `oracle` reads the truth behind it. `readers` rate a nodule and draw its `outlines`; `lidc_delivery`
writes their marks as LIDC-IDRI, in the files of `lidc_xml`."""
