"""Reports in the layout of IDC's Sybil boxes: TID 1500, one measurement group (TID 1410) a rectangle."""

from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import Comprehensive3DSRStorage, CTImageStorage, ExplicitVRLittleEndian, generate_uid


def code(value, meaning, scheme="DCM"):
    """A sequence of one coded concept."""
    ds = Dataset()
    ds.CodeValue = value
    ds.CodingSchemeDesignator = scheme
    ds.CodeMeaning = meaning
    return [ds]


def item(value_type, relation="CONTAINS", concept=None, **values):
    """One content item."""
    ds = Dataset()
    ds.RelationshipType = relation
    ds.ValueType = value_type
    if concept:
        ds.ConceptNameCodeSequence = code(*concept)
    if value_type == "CONTAINER":
        ds.ContinuityOfContent = "SEPARATE"
    for name, value in values.items():
        setattr(ds, name, value)
    return ds


def reference(sop):
    """A sequence of one reference to a CT image."""
    ds = Dataset()
    ds.ReferencedSOPClassUID = CTImageStorage
    ds.ReferencedSOPInstanceUID = sop
    return [ds]


def measured(k, sop, box):
    """The measurement group of one rectangle."""
    x0, y0, x1, y1 = box
    image = item("IMAGE", "SELECTED FROM", ReferencedSOPSequence=reference(sop))
    region = item("SCOORD", concept=("111030", "Image Region"), GraphicType="POLYLINE", ContentSequence=[image],
                  GraphicData=[x0, y0, x1, y0, x1, y1, x0, y1, x0, y0])
    names = [item("TEXT", "HAS OBS CONTEXT", ("112039", "Tracking Identifier"), TextValue=f"Box {k}"),
             item("UIDREF", "HAS OBS CONTEXT", ("112040", "Tracking Unique Identifier"), UID=generate_uid())]
    return item("CONTAINER", concept=("125007", "Measurement Group"), ContentSequence=[*names, region])


def write_report(path, pid, year, uid, boxes):
    """One report on the series `uid` ('' for none); boxes: (SOPInstanceUID, (x0, y0, x1, y1)), in pixels."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = Comprehensive3DSRStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.Modality = "SR"
    ds.Manufacturer = "Sybil"
    ds.PatientID = str(pid)
    ds.StudyDate = f"{1999 + year}0102"
    ds.StudyInstanceUID = "1.2.9"
    ds.SeriesInstanceUID = generate_uid()
    ds.ClinicalTrialTimePointID = f"T{year}"
    study = Dataset()
    series = Dataset()
    series.SeriesInstanceUID = uid
    series.ReferencedSOPSequence = [reference(sop)[0] for sop, _ in boxes]
    study.ReferencedSeriesSequence = [series] if uid else []
    ds.CurrentRequestedProcedureEvidenceSequence = [study]
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = code("126000", "Imaging Measurement Report")
    library = item("CONTAINER", concept=("111028", "Image Library"),
                   ContentSequence=[item("IMAGE", ReferencedSOPSequence=reference("1.5.0"))])
    groups = [measured(k, *box) for k, box in enumerate(boxes)]
    ds.ContentSequence = [library, item("CONTAINER", concept=("126010", "Imaging Measurements"),
                                        ContentSequence=groups)]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
