//! `utc_now`: this machine's clock.

use rhai::Dynamic;
use serde_json::Value;

use super::values::Time;
use super::{Call, Class, Primitive, Raised};
use crate::effect::{self, Outcome};

pub static UTC_NOW: Primitive = Primitive {
    name: "utc_now",
    parameters: &[],
    options: &[],
    class: Class::Reads,
    returns: "a time in UTC, without a zone, as GETUTCDATE() has it",
    doc: "Reads this machine's clock. It is recorded as every effect is, so that a run that is resumed sees the same time.",
    examples: &[
        r#"let ahead = query("backup", "SELECT DATEDIFF(second, @now, GETUTCDATE()) AS seconds", #{ now: utc_now() }).value(); note(`${ahead} s ahead`);"#,
    ],
    run,
};

/// A moment of this machine's clock.
struct Moment(jiff::Timestamp);

impl Outcome for Moment {
    fn already() -> Self {
        unreachable!("a read has no done_when")
    }
    fn record(&self) -> Value {
        self.0.to_string().into()
    }
    fn replay(record: Value) -> Result<Self, String> {
        record.as_str().and_then(|text| text.parse().ok()).map(Self).ok_or_else(|| "its outcome is not a time".to_owned())
    }
}

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let effect = call.effect(&UTC_NOW, effect::Class::Reads, None, "look at this machine's clock".to_owned());
    let Moment(now) = call.run.effects.perform(&effect, None, |_| async { Ok(Moment(jiff::Timestamp::now())) })?;
    Ok(Dynamic::from(Time::DateTime(jiff::tz::Offset::UTC.to_datetime(now))))
}
