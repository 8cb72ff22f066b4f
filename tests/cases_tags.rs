//! Cases of what stands beside the samples: tags, projections, chapters, text.
