//! The management shell's cmdlets as data: parameter sets, types, what is mandatory, and whether a call changes anything.
//! Used before a call is sent (`ps`'s argument errors, `check`'s rules) and by the lab's shell, which refuses what the
//! real one would refuse. It holds only what the reference pages say; it never calls anything.
//!
//! Source of every row: the cmdlet's page in "Skype for Business PowerShell reference" (Microsoft Docs, module
//! SkypeForBusiness), section Syntax; values of Lync Server 2013 that later pages dropped are marked where they stand.

/// Whether a call of a cmdlet can change the world. When a page leaves doubt the answer is [`Class::Changes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// reads configuration or state only
    Reads,
    /// changes configuration, databases, services or files, or posts on somebody's behalf
    Changes,
}

/// The type of a parameter's value, as far as a caller must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `String`, and identities that are written as text
    Text,
    /// `String[]`
    TextList,
    /// `Fqdn`: a fully qualified domain name
    Fqdn,
    /// an enumeration: one of these names, in any case
    Enum(&'static [&'static str]),
    /// `SwitchParameter`
    Switch,
    /// `Boolean`: written with a value
    Boolean,
    /// `Int32`
    Integer,
    /// `PSListModifier`: a list, `#{ Add: .. }`, `#{ Remove: .. }`, `#{ Replace: .. }` or null
    ListModifier,
    /// `Hashtable`
    Hashtable,
    /// `TimeSpan`, written as text (`hh:mm:ss`)
    TimeSpan,
    /// `DateTime`, written as ISO 8601 text
    DateTime,
    /// an object of the shell that text cannot carry (credentials, an instance from a pipeline)
    Object,
}

/// One parameter of one cmdlet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    pub kind: Kind,
    /// The sets it belongs to; empty means all.
    pub sets: &'static [&'static str],
    /// The sets in which it is mandatory; `ALL` for every set it belongs to.
    pub mandatory: &'static [&'static str],
    /// True when it may be given without its name.
    pub positional: bool,
}

/// Stands in [`Parameter::mandatory`] for every set of the parameter.
const ALL: &str = "*";

impl Parameter {
    /// True when the parameter may be used in this set.
    pub fn belongs_to(&self, set: &str) -> bool {
        self.sets.is_empty() || self.sets.contains(&set)
    }

    /// True when a call in this set must give it.
    pub fn is_mandatory_in(&self, set: &str) -> bool {
        self.belongs_to(set) && (self.mandatory.contains(&ALL) || self.mandatory.contains(&set))
    }
}

/// One cmdlet.
#[derive(Clone, Copy, Debug)]
pub struct Cmdlet {
    pub name: &'static str,
    pub class: Class,
    /// Parameter sets, the default one first. A cmdlet with one unnamed set has `__AllParameterSets`.
    pub sets: &'static [&'static str],
    pub parameters: &'static [Parameter],
    /// Supports `-Confirm` and `-WhatIf`.
    pub should_process: bool,
    /// Supports `-Force`, which "suppresses any non-fatal error message".
    pub force: bool,
    /// Asks before it acts even when nobody asked for `-Confirm`, so that a caller without a terminal must give
    /// `Confirm: false`.
    pub prompts: bool,
}

/// What a written parameter name resolves to: PowerShell takes any unambiguous beginning of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    One(Parameter),
    /// The names it could mean.
    Ambiguous(Vec<&'static str>),
    Unknown,
}

/// Why the parameters given do not select one parameter set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetProblem {
    /// No set holds all the parameters given.
    NoSet,
    /// The set that would be used lacks these mandatory parameters.
    Missing { set: &'static str, names: Vec<&'static str> },
}

impl Cmdlet {
    /// Every parameter: its own, then Force, Confirm and WhatIf where supported, then the common ones.
    pub fn all_parameters(&self) -> impl Iterator<Item = &'static Parameter> {
        self.parameters
            .iter()
            .chain(FORCE.iter().filter(|_| self.force))
            .chain(SHOULD_PROCESS.iter().filter(|_| self.should_process))
            .chain(COMMON.iter())
    }

    /// What a written name means here: the exact name in any case, else the only parameter that begins so.
    pub fn resolve(&self, written: &str) -> Resolved {
        if let Some(exact) = self.all_parameters().find(|p| p.name.eq_ignore_ascii_case(written)) {
            return Resolved::One(*exact);
        }
        let begins = |name: &str| name.get(..written.len()).is_some_and(|start| start.eq_ignore_ascii_case(written));
        let mut matching = self.all_parameters().filter(|p| !written.is_empty() && begins(p.name));
        match (matching.next(), matching.next()) {
            (None, _) => Resolved::Unknown,
            (Some(only), None) => Resolved::One(*only),
            (Some(first), Some(second)) => {
                let mut names = vec![first.name, second.name];
                names.extend(matching.map(|p| p.name));
                Resolved::Ambiguous(names)
            }
        }
    }

    /// The parameter that was probably meant by an unknown name.
    pub fn suggest_parameter(&self, written: &str) -> Option<&'static str> {
        nearest(written, self.all_parameters().map(|p| p.name))
    }

    /// The set that a call with exactly these parameters (full names) uses.
    pub fn parameter_set(&self, given: &[&str]) -> Result<&'static str, SetProblem> {
        let own = |name: &str| self.parameters.iter().find(|p| p.name.eq_ignore_ascii_case(name));
        let is_given = |p: &Parameter| given.iter().any(|name| name.eq_ignore_ascii_case(p.name));
        let missing = |set: &str| -> Vec<&'static str> {
            self.parameters.iter().filter(|p| p.is_mandatory_in(set) && !is_given(p)).map(|p| p.name).collect()
        };
        let candidates: Vec<&'static str> =
            self.sets.iter().copied().filter(|set| given.iter().filter_map(|name| own(name)).all(|p| p.belongs_to(set))).collect();
        let Some(first) = candidates.first() else {
            return Err(SetProblem::NoSet);
        };
        match candidates.iter().find(|set| missing(set).is_empty()) {
            Some(set) => Ok(set),
            None => Err(SetProblem::Missing { set: first, names: missing(first) }),
        }
    }
}

/// The cmdlet of this name, in any case.
pub fn find(name: &str) -> Option<&'static Cmdlet> {
    CMDLETS.iter().find(|cmdlet| cmdlet.name.eq_ignore_ascii_case(name))
}

/// The cmdlet that was probably meant by an unknown name.
pub fn suggest(name: &str) -> Option<&'static str> {
    nearest(name, CMDLETS.iter().map(|cmdlet| cmdlet.name))
}

/// True for a fully qualified domain name: two or more labels of letters, digits and hyphens (RFC 1123), at most 255
/// characters.
pub fn is_fqdn(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 255 && text.contains('.') && text.split('.').all(is_label)
}

fn nearest(written: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let written = written.to_ascii_lowercase();
    names
        .map(|name| (strsim::damerau_levenshtein(&written, &name.to_ascii_lowercase()), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= (name.len() / 4).max(2))
        .map(|(_, name)| name)
}

/// "Valid values for DatabaseType" of Install-CsMirrorDatabase and its kin; BIStaging is in the 2013 pages only.
pub const DATABASE_TYPES: &[&str] = &[
    "ActiveMonitoring",
    "Application",
    "Archiving",
    "BIStaging",
    "CentralMgmt",
    "Edge",
    "Lyss",
    "Monitoring",
    "PersistentChat",
    "PersistentChatCompliance",
    "Provision",
    "Registrar",
    "SigninTelemetry",
    "User",
];

/// Values of `-PoolState`: Set-CsPersistentChatState.
pub const POOL_STATES: &[&str] = &["Normal", "FailedOver"];

/// about_Preference_Variables, "ActionPreference".
const ACTIONS: &[&str] = &["SilentlyContinue", "Stop", "Continue", "Inquire", "Ignore", "Suspend", "Break"];

const fn optional(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, sets: &[], mandatory: &[], positional: false }
}

const fn mandatory(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, sets: &[], mandatory: &[ALL], positional: false }
}

const fn switch(name: &'static str) -> Parameter {
    optional(name, Kind::Switch)
}

impl Parameter {
    const fn only_in(self, sets: &'static [&'static str]) -> Self {
        Self { sets, ..self }
    }
    const fn required_in(self, mandatory: &'static [&'static str]) -> Self {
        Self { mandatory, ..self }
    }
    const fn at_position(self) -> Self {
        Self { positional: true, ..self }
    }
}

const FORCE: &[Parameter] = &[switch("Force")];
const SHOULD_PROCESS: &[Parameter] = &[switch("Confirm"), switch("WhatIf")];

/// about_CommonParameters.
pub const COMMON: &[Parameter] = &[
    switch("Debug"),
    optional("ErrorAction", Kind::Enum(ACTIONS)),
    optional("ErrorVariable", Kind::Text),
    optional("InformationAction", Kind::Enum(ACTIONS)),
    optional("InformationVariable", Kind::Text),
    optional("OutBuffer", Kind::Integer),
    optional("OutVariable", Kind::Text),
    optional("PipelineVariable", Kind::Text),
    switch("Verbose"),
    optional("WarningAction", Kind::Enum(ACTIONS)),
    optional("WarningVariable", Kind::Text),
];

const DATABASE_TYPE: Kind = Kind::Enum(DATABASE_TYPES);
const REPORT: Parameter = optional("Report", Kind::Text);
const LOCAL_STORE: Parameter = switch("LocalStore");
const ONE_SET: &[&str] = &["__AllParameterSets"];

/// The role switches of Get-CsService: each is a set of its own ("you can only use one such switch parameter per
/// command").
const SERVICE_ROLES: &[&str] = &[
    "ApplicationDatabase",
    "ApplicationServer",
    "ArchivingDatabase",
    "ArchivingServer",
    "BackupServer",
    "CentralManagement",
    "CentralManagementDatabase",
    "ConferencingServer",
    "Director",
    "EdgeServer",
    "FileStore",
    "LegalInterceptServer",
    "ManagementServer",
    "MediationServer",
    "MonitoringDatabase",
    "MonitoringServer",
    "PersistentChatComplianceDatabase",
    "PersistentChatDatabase",
    "PersistentChatServer",
    "ProvisionDatabase",
    "ProvisionServer",
    "PstnGateway",
    "Registrar",
    "TrustedApplicationPool",
    "UserDatabase",
    "UserServer",
    "VideoGateway",
    "VideoInteropServer",
    "WacServer",
    "WebServer",
];

const SERVICE_SETS: &[&str] = &{
    let mut sets = ["Identity"; SERVICE_ROLES.len() + 2];
    sets[1] = "Filter";
    let mut n = 0;
    while n < SERVICE_ROLES.len() {
        sets[n + 2] = SERVICE_ROLES[n];
        n += 1;
    }
    sets
};

const SERVICE_PARAMETERS: &[Parameter] = &{
    let mut parameters = [optional("PoolFqdn", Kind::Text); SERVICE_ROLES.len() + 3];
    parameters[0] = optional("Identity", Kind::Text).at_position().only_in(&["Identity"]);
    parameters[1] = optional("Filter", Kind::Text).only_in(&["Filter"]);
    let mut n = 0;
    while n < SERVICE_ROLES.len() {
        parameters[n + 3] = switch(SERVICE_ROLES[n]).only_in(std::slice::from_ref(&SERVICE_ROLES[n]));
        n += 1;
    }
    parameters
};

/// A reading cmdlet: neither Confirm, WhatIf nor Force.
const fn reads(name: &'static str, sets: &'static [&'static str], parameters: &'static [Parameter]) -> Cmdlet {
    Cmdlet { name, class: Class::Reads, sets, parameters, should_process: false, force: false, prompts: false }
}

/// A changing cmdlet with Confirm, WhatIf and Force.
const fn changes(name: &'static str, sets: &'static [&'static str], parameters: &'static [Parameter]) -> Cmdlet {
    Cmdlet { name, class: Class::Changes, sets, parameters, should_process: true, force: true, prompts: false }
}

/// Every cmdlet that a failover or failback of Persistent Chat touches. There is no `Get-CsPersistentChatActiveServer`:
/// the list is read through `Get-CsService -PersistentChatServer`.
pub const CMDLETS: &[Cmdlet] = &[
    changes(
        "Set-CsPersistentChatState",
        &["Identity", "Instance"],
        &[
            optional("Identity", Kind::Text).at_position().only_in(&["Identity"]),
            optional("Instance", Kind::Object).only_in(&["Instance"]),
            optional("PoolState", Kind::Enum(POOL_STATES)),
        ],
    ),
    reads(
        "Get-CsPersistentChatState",
        &["Identity", "Filter"],
        &[
            optional("Identity", Kind::Text).at_position().only_in(&["Identity"]),
            optional("Filter", Kind::Text).only_in(&["Filter"]),
            LOCAL_STORE,
        ],
    ),
    changes(
        "Set-CsPersistentChatActiveServer",
        &["Explicit", "Swap"],
        &[
            optional("Identity", Kind::Text).at_position(),
            mandatory("ActiveServers", Kind::ListModifier).only_in(&["Explicit"]),
            switch("Swap").only_in(&["Swap"]).required_in(&["Swap"]),
        ],
    ),
    Cmdlet {
        force: false,
        prompts: true,
        ..changes(
            "Install-CsMirrorDatabase",
            &["ByConfigured", "ByDatabase"],
            &[
                switch("ConfiguredDatabases").only_in(&["ByConfigured"]).required_in(&["ByConfigured"]),
                switch("ForDefaultInstance").only_in(&["ByConfigured"]),
                optional("ForInstance", Kind::Text).only_in(&["ByConfigured"]),
                mandatory("DatabaseType", DATABASE_TYPE).only_in(&["ByDatabase"]),
                optional("SqlInstanceName", Kind::Text).only_in(&["ByDatabase"]),
                mandatory("FileShare", Kind::Text),
                mandatory("SqlServerFqdn", Kind::Fqdn),
                optional("DatabasePathMap", Kind::Hashtable),
                switch("DropExistingDatabasesOnMirror"),
                optional("ExcludeDatabaseList", Kind::TextList),
                REPORT,
            ],
        )
    },
    Cmdlet {
        force: false,
        ..changes(
            "Uninstall-CsMirrorDatabase",
            ONE_SET,
            &[
                mandatory("DatabaseType", DATABASE_TYPE),
                mandatory("SqlServerFqdn", Kind::Fqdn),
                switch("DropExistingDatabasesOnMirror"),
                REPORT,
                optional("SqlInstanceName", Kind::Text),
            ],
        )
    },
    changes(
        "Invoke-CsDatabaseFailover",
        ONE_SET,
        &[
            mandatory("DatabaseType", DATABASE_TYPE),
            mandatory("NewPrincipal", Kind::Enum(&["Primary", "Mirror"])),
            mandatory("PoolFqdn", Kind::Fqdn),
            optional("ExcludeDatabaseList", Kind::TextList),
            LOCAL_STORE,
            REPORT,
        ],
    ),
    reads(
        "Get-CsDatabaseMirrorState",
        ONE_SET,
        &[mandatory("PoolFqdn", Kind::Fqdn), optional("DatabaseType", DATABASE_TYPE), LOCAL_STORE, REPORT],
    ),
    reads("Get-CsService", SERVICE_SETS, SERVICE_PARAMETERS),
    reads(
        "Get-CsPool",
        &["Identity", "Filter"],
        &[
            optional("Identity", Kind::Text).at_position().only_in(&["Identity"]),
            optional("Filter", Kind::Text).only_in(&["Filter"]),
            optional("Site", Kind::Text),
        ],
    ),
    reads("Get-CsTopology", ONE_SET, &[switch("AsXml"), LOCAL_STORE]),
    reads(
        "Get-CsManagementStoreReplicationStatus",
        ONE_SET,
        &[optional("ReplicaFqdn", Kind::Text).at_position(), switch("CentralManagementStoreStatus")],
    ),
    changes(
        "Enable-CsTopology",
        ONE_SET,
        &[
            optional("GlobalCatalog", Kind::Fqdn),
            optional("GlobalSettingsDomainController", Kind::Fqdn),
            optional("SkipPrepareCheck", Kind::Boolean),
            REPORT,
        ],
    ),
    changes(
        "Start-CsWindowsService",
        &["Name", "InputObject"],
        &[
            optional("Name", Kind::Text).at_position().only_in(&["Name"]),
            optional("ComputerName", Kind::Text).only_in(&["Name"]),
            optional("InputObject", Kind::Object).only_in(&["InputObject"]),
            switch("NoWait"),
            REPORT,
        ],
    ),
    changes(
        "Stop-CsWindowsService",
        &["Name", "InputObject"],
        &[
            optional("Name", Kind::Text).at_position().only_in(&["Name"]),
            optional("ComputerName", Kind::Text).only_in(&["Name"]),
            optional("InputObject", Kind::Object).only_in(&["InputObject"]),
            switch("Graceful"),
            switch("NoWait"),
            REPORT,
            switch("LeaveClsAgentRunning"),
            switch("LeaveWebServerRunning"),
        ],
    ),
    reads(
        "Get-CsWindowsService",
        ONE_SET,
        &[optional("Name", Kind::Text).at_position(), optional("ComputerName", Kind::Text), switch("ExcludeActivityLevel"), REPORT],
    ),
    // Signs test users in and posts in a room.
    Cmdlet {
        should_process: false,
        ..changes(
            "Test-CsPersistentChatMessage",
            &["ServerPlatform", "ClientPlatform"],
            &[
                optional("TargetFqdn", Kind::Text).at_position().required_in(&["ServerPlatform"]),
                mandatory("SenderCredential", Kind::Object).only_in(&["ClientPlatform"]),
                mandatory("ReceiverCredential", Kind::Object).only_in(&["ClientPlatform"]),
                optional("SenderSipAddress", Kind::Text).required_in(&["ClientPlatform"]),
                optional("ReceiverSipAddress", Kind::Text).required_in(&["ClientPlatform"]),
                optional("Authentication", Kind::Enum(&["TrustedServer", "Negotiate", "ClientCertificate", "LiveID"])),
                optional("ChatRoomUri", Kind::Text),
                optional("OutLoggerVariable", Kind::Text),
                optional("OutVerboseVariable", Kind::Text),
                optional("RegistrarPort", Kind::Integer),
                optional("Setup", Kind::Boolean),
                optional("TestUser1SipAddress", Kind::Text),
                optional("TestUser2SipAddress", Kind::Text),
            ],
        )
    },
    // Offers Confirm and WhatIf, so its page does not promise a mere read.
    Cmdlet {
        force: false,
        ..changes(
            "Test-CsDatabase",
            &["ByConfigured", "ByDatabase", "ByCMS", "ByLocal"],
            &[
                switch("ConfiguredDatabases").only_in(&["ByConfigured"]).required_in(&["ByConfigured"]),
                mandatory("DatabaseType", DATABASE_TYPE).only_in(&["ByDatabase"]),
                switch("CentralManagementDatabase").only_in(&["ByCMS"]).required_in(&["ByCMS"]),
                switch("LocalService").only_in(&["ByLocal"]).required_in(&["ByLocal"]),
                optional("SqlServerFqdn", Kind::Fqdn)
                    .only_in(&["ByCMS", "ByConfigured", "ByDatabase"])
                    .required_in(&["ByConfigured", "ByDatabase"]),
                optional("SqlInstanceName", Kind::Text).only_in(&["ByCMS", "ByDatabase"]),
                REPORT,
            ],
        )
    },
    changes(
        "Install-CsDatabase",
        &["ByConfigured", "ByDatabase", "ByCMS", "ByLocal"],
        &[
            switch("ConfiguredDatabases").only_in(&["ByConfigured"]).required_in(&["ByConfigured"]),
            mandatory("DatabaseType", DATABASE_TYPE).only_in(&["ByDatabase"]),
            switch("CentralManagementDatabase").only_in(&["ByCMS"]).required_in(&["ByCMS"]),
            switch("LocalDatabases").only_in(&["ByLocal"]).required_in(&["ByLocal"]),
            mandatory("SqlServerFqdn", Kind::Fqdn).only_in(&["ByConfigured", "ByDatabase", "ByCMS"]),
            optional("SqlInstanceName", Kind::Text).only_in(&["ByDatabase", "ByCMS"]),
            switch("ForDefaultInstance").only_in(&["ByConfigured", "ByLocal"]),
            optional("ForInstance", Kind::Text).only_in(&["ByConfigured", "ByLocal"]),
            switch("ExcludeCollocatedStores").only_in(&["ByConfigured"]),
            switch("Collocated").only_in(&["ByDatabase", "ByCMS"]),
            switch("Backup").only_in(&["ByCMS"]),
            switch("Clean"),
            optional("DatabasePaths", Kind::TextList),
            optional("DatabasePathMap", Kind::Hashtable),
            optional("GlobalCatalog", Kind::Fqdn),
            optional("GlobalSettingsDomainController", Kind::Fqdn),
            switch("NoReindex"),
            REPORT,
            switch("SkipPrepareCheck"),
            switch("Update"),
            switch("UseDefaultSqlPaths"),
        ],
    ),
    changes(
        "Invoke-CsPoolFailOver",
        ONE_SET,
        &[
            mandatory("PoolFqdn", Kind::Fqdn),
            optional("DatabaseCommandTimeoutInSeconds", Kind::Integer),
            switch("DisasterMode"),
            switch("FlushStorageService"),
            optional("ServicesStopDelayMins", Kind::Integer),
            switch("SkipDataVerification"),
            optional("WaitTime", Kind::TimeSpan),
        ],
    ),
    changes(
        "Invoke-CsPoolFailBack",
        ONE_SET,
        &[
            mandatory("PoolFqdn", Kind::Fqdn),
            optional("DatabaseCommandTimeoutInSeconds", Kind::Integer),
            switch("DisasterMode"),
            switch("SkipDataVerification"),
            optional("WaitTime", Kind::TimeSpan),
        ],
    ),
    // The page shows Force for the disaster set only; the shell refuses it elsewhere.
    changes(
        "Invoke-CsManagementServerFailover",
        &["Normal", "DisasterRecovery"],
        &[
            switch("Restore").only_in(&["Normal"]),
            mandatory("BackupSqlServerFqdn", Kind::Fqdn).only_in(&["DisasterRecovery"]),
            optional("BackupSqlInstanceName", Kind::Text).only_in(&["DisasterRecovery"]),
            optional("BackupMirrorSqlServerFqdn", Kind::Fqdn).only_in(&["DisasterRecovery"]),
            optional("BackupMirrorSqlInstanceName", Kind::Text).only_in(&["DisasterRecovery"]),
            REPORT,
        ],
    ),
    // Writes a file, and reads the whole database for it.
    Cmdlet {
        should_process: false,
        force: false,
        ..changes(
            "Export-CsPersistentChatData",
            &["FileName", "AsBytes"],
            &[
                mandatory("DBInstance", Kind::Text),
                optional("DBName", Kind::Text),
                switch("AsBytes").only_in(&["AsBytes"]),
                optional("FileName", Kind::Text).only_in(&["FileName"]),
                switch("DisableExportedNodes"),
                optional("Level", Kind::Text),
                REPORT,
                optional("Scope", Kind::TextList),
                optional("StartDate", Kind::DateTime),
            ],
        )
    },
    reads(
        "Get-CsAdminRole",
        &["Identity", "Filter", "SID"],
        &[
            optional("Identity", Kind::Text).at_position().only_in(&["Identity"]),
            optional("Filter", Kind::Text).only_in(&["Filter"]),
            optional("Sid", Kind::Text).at_position().only_in(&["SID"]),
            LOCAL_STORE,
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_consistent() {
        for cmdlet in CMDLETS {
            assert!(!cmdlet.sets.is_empty(), "{}", cmdlet.name);
            assert_eq!(find(&cmdlet.name.to_uppercase()).map(|c| c.name), Some(cmdlet.name));
            assert_eq!(cmdlet.class == Class::Reads, cmdlet.name.starts_with("Get-"), "{}", cmdlet.name);
            for parameter in cmdlet.parameters {
                for set in parameter.sets.iter().chain(parameter.mandatory) {
                    assert!(*set == ALL || cmdlet.sets.contains(set), "{} {} {set}", cmdlet.name, parameter.name);
                }
            }
            let mut names: Vec<_> = cmdlet.all_parameters().map(|p| p.name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{} lists a parameter twice", cmdlet.name);
        }
    }

    #[test]
    fn a_beginning_of_a_name_resolves_when_it_is_unambiguous() {
        let cmdlet = find("set-cspersistentchatstate").unwrap();
        let name = |written: &str| match cmdlet.resolve(written) {
            Resolved::One(p) => p.name,
            Resolved::Ambiguous(_) => "ambiguous",
            Resolved::Unknown => "unknown",
        };
        assert_eq!(name("poolstate"), "PoolState");
        assert_eq!(name("Pool"), "PoolState");
        assert_eq!(name("I"), "ambiguous");
        assert_eq!(name("Id"), "Identity");
        assert_eq!(name("PoolStaet"), "unknown");
        assert_eq!(name(""), "unknown");
        assert_eq!(cmdlet.suggest_parameter("PoolStaet"), Some("PoolState"));
        assert_eq!(cmdlet.suggest_parameter("Banana"), None);
    }

    #[test]
    fn the_parameters_given_choose_the_set() {
        let mirror = find("Install-CsMirrorDatabase").unwrap();
        assert_eq!(mirror.parameter_set(&["DatabaseType", "FileShare", "SqlServerFqdn", "Confirm"]), Ok("ByDatabase"));
        assert_eq!(
            mirror.parameter_set(&["DatabaseType", "SqlServerFqdn"]),
            Err(SetProblem::Missing { set: "ByDatabase", names: vec!["FileShare"] })
        );
        assert_eq!(mirror.parameter_set(&["DatabaseType", "ForInstance"]), Err(SetProblem::NoSet));
        let service = find("Get-CsService").unwrap();
        assert_eq!(service.parameter_set(&[]), Ok("Identity"));
        assert_eq!(service.parameter_set(&["ArchivingServer", "MonitoringServer"]), Err(SetProblem::NoSet));
        let active = find("Set-CsPersistentChatActiveServer").unwrap();
        assert_eq!(active.parameter_set(&["Swap"]), Ok("Swap"));
        assert_eq!(active.parameter_set(&[]), Err(SetProblem::Missing { set: "Explicit", names: vec!["ActiveServers"] }));
    }

    #[test]
    fn an_unknown_cmdlet_gets_a_suggestion_only_when_one_is_near() {
        assert_eq!(suggest("Set-CsPersistantChatState"), Some("Set-CsPersistentChatState"));
        assert_eq!(suggest("Remove-Item"), None);
        assert!(find("Get-CsPersistentChatActiveServer").is_none());
    }
}
