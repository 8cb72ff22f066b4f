//! Cases in which decoding went wrong: what a decoder must know, and damaged pictures.
