"""A synthetic delivery. Who: `law` subjects and risk, `growth` a year, `registry` the tables. Images: `anatomy`,
`visit`, `coverage`, `texture`, `render` a slice, `scanner` a series, `dicom_writer` its files. `delivery` writes all of
it, and `oracle` reads the truth behind it."""
