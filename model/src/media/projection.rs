//! How pictures are laid onto a sphere, or hold the views of two eyes.

use serde::{Deserialize, Serialize};

/// How the pictures of a stream are projected onto a sphere, and how two views are packed in each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Projection {
    /// How views are packed; `None` where the source does not state it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stereo: Option<Stereo>,
    /// The sphere; `None` for a flat picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sphere: Option<Sphere>,
}

impl Projection {
    /// Whether there is nothing to carry.
    pub fn is_empty(&self) -> bool {
        self.stereo.is_none() && self.sphere.is_none()
    }
}

/// How the views of a left and a right eye are packed into one picture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stereo {
    /// libav's name of the packing, as in `top and bottom`; `2D` for one view.
    pub packing: String,
    /// Whether the right view comes first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inverted: bool,
}

/// How a picture is laid onto a sphere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sphere {
    /// libav's name of the mapping, as in `equirectangular`.
    pub mapping: String,
    /// Rotation of the sphere by yaw, pitch and roll, in degrees, each a figure of 1/65536.
    pub turn: [i32; 3],
    /// How much of the full projection lies beyond the left, top, right and bottom edge of the
    /// picture, each a figure of 1/2³² of its width or height.
    pub beyond: [u32; 4],
    /// Padding of the faces of a cube map beyond their edges, in pixels.
    pub padding: u32,
}
