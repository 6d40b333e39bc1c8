"""Images to heightmaps, regions of interest and change."""
