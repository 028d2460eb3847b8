"""What the follow-ups are worth: numbers (stats/), rows of metrics/*.csv (tables/), pictures (figures/)."""
