//! A plan as text for people.

use std::fmt;

use super::{
    Action, Argument, Content, Dropped, Encoder, FrameFormat, FramePick, Output, PictureFormat,
    Plan, Process, Select, SoundFormat, Span, SpriteSheet, Track,
};
use crate::time::Timestamp;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "strategy: {}", self.strategy.name())?;
        self.because.iter().try_for_each(|reason| writeln!(f, "  because {reason}"))?;
        for (number, input) in self.inputs.iter().enumerate() {
            writeln!(f, "input {number}: {}", input.location)?;
        }
        for output in &self.outputs {
            writeln!(f, "output: {} ({})", output.location, output.muxer)?;
            if let Content::BytesOf(input) = output.content {
                writeln!(f, "  the bytes of input {input}")?;
            }
            if let Content::SpriteSheet(sheet) = &output.content {
                write!(f, "{sheet}")?;
            }
            output.tracks().iter().try_for_each(|track| write!(f, "{track}"))?;
            if output.moves_index {
                writeln!(f, "  the input, with `moov` moved before `mdat`")?;
            }
        }
        for Dropped { input, stream, kind, because } in &self.dropped {
            writeln!(f, "  {kind} {input}:{stream} drop\n    because {because}")?;
        }
        self.notices.iter().try_for_each(|notice| writeln!(f, "note: {notice}"))?;
        if let Some(process) = &self.process {
            writeln!(f, "runs: ffmpeg {process}")?;
        } else {
            writeln!(f, "cost: {}", self.cost)?;
        }
        if let Some(encoded) = &self.if_parameters_change {
            writeln!(f, "if codec parameters change mid-stream: {}", encoded.strategy.name())?;
        }
        if let Some(otherwise) = &self.otherwise {
            let text = otherwise.to_string();
            let has_smart_cut =
                self.tracks().any(|track| matches!(track.action, Action::SmartCut(_)));
            let may_have_gaps = self.outputs.iter().any(Output::copies_without_gaps);
            let case = if has_smart_cut {
                "fails"
            } else if may_have_gaps {
                "has gaps"
            } else {
                "becomes too large"
            };
            writeln!(f, "if that {case}:")?;
            text.lines().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, argument) in self.arguments.iter().enumerate() {
            let space = if number == 0 { "" } else { " " };
            match argument {
                Argument::Text(text) if text.contains(char::is_whitespace) || text.is_empty() => {
                    write!(f, "{space}'{text}'")?;
                }
                Argument::Text(text) => write!(f, "{space}{text}")?,
                Argument::Input(number) => write!(f, "{space}<input {number}>")?,
                Argument::Output(number) => write!(f, "{space}<output {number}>")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for SpriteSheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |at: Option<&FramePick>| at.map_or(0.0, |at| at.time.seconds());
        let (first, last) = (seconds(self.picks.first()), seconds(self.picks.last()));
        let (count, columns, rows) = (self.picks.len(), self.columns, self.rows());
        let keyframes = self.picks.iter().filter(|pick| pick.keyframe).count();
        writeln!(f, "  video {} encode {}", self.source, self.encoder)?;
        writeln!(
            f,
            "    {count} pictures from {first:.3} s to {last:.3} s, {keyframes} of them keyframes, in \
             {columns} columns and {rows} rows"
        )?;
        writeln!(f, "    filters {}", self.filters)?;
        self.because.iter().try_for_each(|reason| writeln!(f, "    because {reason}"))
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}", self.kind.name())?;
        self.sources().try_for_each(|source| write!(f, " {source}"))?;
        match &self.action {
            Action::Copy => write!(f, " copy")?,
            Action::SmartCut(encoder) => write!(f, " copy, ends encoded {encoder}")?,
            Action::Convert(name) => write!(f, " encode with {name}")?,
            Action::Encode(encoder) => write!(f, " encode {encoder}")?,
        }
        let seconds = |at: Timestamp| format!("{:.3} s", at.seconds());
        match self.parts.first().map(|part| part.select) {
            Some(Select::At(pick)) => write!(f, ", the frame at {}", seconds(pick.time))?,
            Some(Select::Span(Span { start, end, .. })) => {
                let end = end.map_or_else(|| "the end".to_owned(), seconds);
                write!(f, ", from {} to {end}", seconds(start))?;
            }
            Some(Select::All) | None => {}
        }
        writeln!(f)?;
        if let Some(most) = self.at_most {
            writeln!(f, "    at most {most} bytes")?;
        }
        for run in self.parts.iter().filter_map(|part| part.copied) {
            let end = run.end_pts.map_or_else(|| "the end".to_owned(), seconds);
            match run.keyframe_pts {
                Some(from) => writeln!(f, "    copied from {} to {end}", seconds(from))?,
                None => writeln!(f, "    nothing copied")?,
            }
        }
        for part in self.parts.iter().filter(|part| !part.filters.is_empty()) {
            writeln!(f, "    filters {}", part.filters)?;
            if !part.pad_filters.is_empty() {
                writeln!(f, "    fit {}", part.pad_filters)?;
            }
        }
        self.because.iter().try_for_each(|reason| writeln!(f, "    because {reason}"))
    }
}

impl fmt::Display for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.format {
            FrameFormat::Video(PictureFormat { width, height, pixel_format, .. }) => {
                write!(f, "with {}, {width}x{height} {pixel_format}", self.name)?;
            }
            FrameFormat::Audio(SoundFormat { sample_rate, layout, .. }) => {
                write!(f, "with {}, {sample_rate} Hz {layout}", self.name)?;
            }
        }
        if let Some(bit_rate) = self.bit_rate {
            write!(f, ", {bit_rate} kbit/s")?;
        }
        if self.keyframe_each_second {
            write!(f, ", a keyframe each second")?;
        }
        self.options.iter().try_for_each(|(key, value)| write!(f, ", {key}={value}"))
    }
}
