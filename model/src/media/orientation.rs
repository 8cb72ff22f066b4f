//! How decoded pictures are turned and mirrored before they are shown.

use serde::{Deserialize, Serialize};

/// How a picture must be turned to stand upright (the display matrix of ISO/IEC 14496-12, 8.5.3,
/// when it is a multiple of a quarter turn, mirrored or not).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Orientation {
    /// As coded.
    #[default]
    Upright,
    /// A quarter turn to the right.
    Clockwise,
    /// Half a turn.
    HalfTurn,
    /// A quarter turn to the left.
    CounterClockwise,
    /// Left and right exchanged.
    FlipLeftRight,
    /// Top and bottom exchanged.
    FlipTopBottom,
    /// Rows become columns.
    Transpose,
    /// Rows become columns, mirrored about the other diagonal.
    AntiTranspose,
    /// The matrix is not a multiple of a quarter turn; the picture is taken as coded.
    Skewed,
}

/// The directions of a picture's right and down axes once it is turned and mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axes {
    right: (i32, i32),
    down: (i32, i32),
}

impl Default for Axes {
    fn default() -> Self {
        Self { right: (1, 0), down: (0, 1) }
    }
}

impl Axes {
    fn change(&mut self, change: impl Fn((i32, i32)) -> (i32, i32)) {
        (self.right, self.down) = (change(self.right), change(self.down));
    }

    /// Turns the picture to the left by a quarter.
    pub fn turn_left(&mut self) {
        self.change(|(x, y)| (y, -x));
    }

    /// Exchanges left and right when `left_right`, else top and bottom.
    pub fn mirror(&mut self, left_right: bool) {
        self.change(|(x, y)| if left_right { (-x, y) } else { (x, -y) });
    }

    /// The orientation with these axes, one of eight.
    pub fn orientation(self) -> Orientation {
        Orientation::from_matrix([self.right.0, self.right.1, self.down.0, self.down.1])
    }
}

impl Orientation {
    /// The orientation that a display matrix asks for: `x' = a·x + c·y`, `y' = b·x + d·y`.
    pub fn from_matrix([a, b, c, d]: [i32; 4]) -> Self {
        match [a, b, c, d].map(i32::signum) {
            [1, 0, 0, 1] => Self::Upright,
            [0, 1, -1, 0] => Self::Clockwise,
            [-1, 0, 0, -1] => Self::HalfTurn,
            [0, -1, 1, 0] => Self::CounterClockwise,
            [-1, 0, 0, 1] => Self::FlipLeftRight,
            [1, 0, 0, -1] => Self::FlipTopBottom,
            [0, 1, 1, 0] => Self::Transpose,
            [0, -1, -1, 0] => Self::AntiTranspose,
            _ => Self::Skewed,
        }
    }

    /// The orientation of a picture that is first mirrored (`mirrored` left to right, `flipped` top
    /// to bottom), and then turned to the left by `quarters` quarter turns.
    pub fn of_turn(mirrored: bool, flipped: bool, quarters: u32) -> Self {
        let mut axes = Axes::default();
        if mirrored {
            axes.mirror(true);
        }
        if flipped {
            axes.mirror(false);
        }
        (0..quarters % 4).for_each(|_| axes.turn_left());
        axes.orientation()
    }

    /// Whether width and height change places.
    pub const fn swaps_sides(self) -> bool {
        matches!(
            self,
            Self::Clockwise | Self::CounterClockwise | Self::Transpose | Self::AntiTranspose
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_matrix_becomes_an_orientation() {
        let check = |matrix, expected| assert_eq!(Orientation::from_matrix(matrix), expected);
        let one = 1 << 16;
        check([one, 0, 0, one], Orientation::Upright);
        check([0, one, -one, 0], Orientation::Clockwise);
        check([0, -one, one, 0], Orientation::CounterClockwise);
        check([-one, 0, 0, one], Orientation::FlipLeftRight);
        check([one / 2, one / 2, -one / 2, one / 2], Orientation::Skewed);
    }

    #[test]
    fn mirroring_comes_before_turning() {
        let check = |turn: (bool, bool, u32), expected| {
            assert_eq!(Orientation::of_turn(turn.0, turn.1, turn.2), expected, "{turn:?}");
        };
        check((false, false, 0), Orientation::Upright);
        check((false, false, 1), Orientation::CounterClockwise);
        check((false, false, 2), Orientation::HalfTurn);
        check((false, false, 3), Orientation::Clockwise);
        check((true, false, 0), Orientation::FlipLeftRight);
        check((false, true, 0), Orientation::FlipTopBottom);
        check((true, true, 0), Orientation::HalfTurn);
        check((true, false, 1), Orientation::Transpose);
        check((true, false, 3), Orientation::AntiTranspose);
    }
}
