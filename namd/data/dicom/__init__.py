"""DICOM: headers, pixels, series, where a nodule lies."""
