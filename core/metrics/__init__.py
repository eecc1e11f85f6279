"""How far generated images are from real ones: Frechet distances over a fixed feature extractor."""
