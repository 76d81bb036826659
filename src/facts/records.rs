//! What the management shell's own error ids mean in a failover, and what to do next, in our own words. Used by the shell's room
//! to explain a failure, and by `cutover explain`. The ids are those of PowerShell's parameter binder and command discovery, as
//! `$Error[0].FullyQualifiedErrorId` has them before the comma; cmdlets have ids of their own besides.

/// One error id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFact {
    pub id: &'static str,
    /// one sentence: what it means here
    pub meaning: &'static str,
    /// a fragment: the next act
    pub act: &'static str,
}

const PARAMETERS: &str = "correct the parameters in the runbook; nothing was changed";

/// The ids, sorted.
pub static RECORDS: &[RecordFact] = &[
    RecordFact { id: "AmbiguousParameter", meaning: "A shortened parameter name could mean several.", act: PARAMETERS },
    RecordFact {
        id: "AmbiguousParameterSet",
        meaning: "The parameters that were given do not say which of the cmdlet's parameter sets is meant.",
        act: PARAMETERS,
    },
    RecordFact {
        id: "CannotConvertArgumentNoMessage",
        meaning: "A value cannot be made into the type that the parameter takes.",
        act: PARAMETERS,
    },
    RecordFact {
        id: "CommandNotFoundException",
        meaning: "The shell knows no cmdlet of that name: its module is not loaded, or the name is misspelt.",
        act: "check the name and that `module` under [powershell] in the site file is the one that has it",
    },
    RecordFact {
        id: "MissingMandatoryParameter",
        meaning: "A parameter that the cmdlet needs was not given, and nobody is there whom the shell could ask.",
        act: PARAMETERS,
    },
    RecordFact { id: "NamedParameterNotFound", meaning: "The cmdlet has no parameter of that name.", act: PARAMETERS },
];

/// What is known of an error id; whatever stands behind its first comma does not matter.
pub fn find(id: &str) -> Option<&'static RecordFact> {
    let id = id.split(',').next().unwrap_or_default();
    RECORDS.iter().find(|fact| fact.id == id)
}
