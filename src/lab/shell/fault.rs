//! What a scenario makes go wrong in the shell.

use serde::Deserialize;

use crate::wire::bridge::ErrorRecord;

/// One fault of the shell. `nth` counts the calls of that cmdlet from 1; without it every call is struck.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum ShellFault {
    /// It reports an error; `changed`: after it did its work.
    CmdletFails {
        cmdlet: String,
        #[serde(default)]
        nth: Option<u32>,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        changed: bool,
        /// false: an error record, and the cmdlet goes on to its end
        #[serde(default)]
        terminating: bool,
    },
    /// It says this as a warning before it does anything.
    CmdletWarns {
        cmdlet: String,
        #[serde(default)]
        nth: Option<u32>,
        message: String,
    },
    /// It takes this much longer (seconds at pace 1).
    CmdletSlow {
        cmdlet: String,
        #[serde(default)]
        nth: Option<u32>,
        seconds: f64,
    },
    /// The shell process ends during the call; `changed`: after it did its work.
    ShellDies {
        cmdlet: String,
        #[serde(default)]
        nth: Option<u32>,
        #[serde(default)]
        changed: bool,
    },
    /// The module is not installed.
    ModuleMissing,
    /// The Central Management store cannot be written, as it went down with the lost site, until it is failed over.
    CmsReadOnly,
    /// This server never gets the new configuration.
    ReplicaStuck { server: String },
}

/// What strikes one call.
#[derive(Debug, Default)]
pub(super) struct Strike {
    pub seconds: f64,
    pub warnings: Vec<String>,
    pub fails_before: Option<ErrorRecord>,
    pub fails_after: Option<ErrorRecord>,
    pub dies_before: bool,
    pub dies_after: bool,
}

/// The faults that strike the nth call of this cmdlet.
pub(super) fn strikes(faults: &[ShellFault], name: &str, n: u32) -> Strike {
    let mut strike = Strike::default();
    let hits = |cmdlet: &str, nth: &Option<u32>| cmdlet.eq_ignore_ascii_case(name) && nth.is_none_or(|nth| nth == n);
    for fault in faults {
        match fault {
            ShellFault::CmdletFails { cmdlet, nth, message, changed, terminating } if hits(cmdlet, nth) => {
                let record = ErrorRecord {
                    category: "InvalidOperation".to_owned(),
                    error_id: format!("ProcessingFailed,{name}"),
                    message: message.clone().unwrap_or_else(|| "The operation could not be completed.".to_owned()),
                    target: String::new(),
                    terminating: *terminating,
                    exception: "Microsoft.Rtc.Management.ManagementException".to_owned(),
                };
                *(if *changed { &mut strike.fails_after } else { &mut strike.fails_before }) = Some(record);
            }
            ShellFault::CmdletWarns { cmdlet, nth, message } if hits(cmdlet, nth) => strike.warnings.push(message.clone()),
            ShellFault::CmdletSlow { cmdlet, nth, seconds } if hits(cmdlet, nth) => strike.seconds += seconds,
            ShellFault::ShellDies { cmdlet, nth, changed } if hits(cmdlet, nth) => {
                *(if *changed { &mut strike.dies_after } else { &mut strike.dies_before }) = true;
            }
            _ => {}
        }
    }
    strike
}

pub(super) fn module_missing(faults: &[ShellFault]) -> bool {
    faults.contains(&ShellFault::ModuleMissing)
}

pub(super) fn replica_stuck(faults: &[ShellFault], server: &str) -> bool {
    faults.iter().any(|fault| matches!(fault, ShellFault::ReplicaStuck { server: stuck } if stuck.eq_ignore_ascii_case(server)))
}
