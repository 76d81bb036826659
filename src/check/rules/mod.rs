//! The rules, one a file; a page beside each.

mod active_servers_replaced;
mod allow_without_reason;
mod captured_write;
mod change_in_done_when;
mod change_in_query;
mod change_without_confirm;
mod compliance_database_touched;
mod duplicate_step;
mod effect_outside_step;
mod endless_wait;
mod facts_deleted_first;
mod forced_cmdlet;
mod indirect_call;
mod irreversible_without_word;
mod literal_host;
mod literal_secret;
mod pool_state_implicit;
mod pool_switched_too_early;
mod recovered_too_early;
mod restored_before_copied;
mod return_in_step;
mod sessions_killed_blindly;
mod shadowed_site;
mod sql_from_data;
mod sql_syntax;
mod swallowed_error;
mod syntax;
mod typographic_dash;
mod unknown_call;
mod unknown_cmdlet;
mod unknown_import;
mod unknown_server;
mod unknown_site_key;
mod unknown_variable;
mod unreachable_code;
mod unused_allow;
mod unused_function;
mod unused_import;
mod unused_variable;
mod unverified_change;
mod wrong_arguments;
mod wrong_cmdlet_parameter;

use super::Rule;
pub(super) use typographic_dash::plain;
pub(super) use unreachable_code::leaves;

/// Every rule, in the order of the document: what is wrong, then what is dangerous, then what is said about findings.
pub static RULES: &[&Rule] = &[
    &syntax::SYNTAX,
    &unknown_call::UNKNOWN_CALL,
    &wrong_arguments::WRONG_ARGUMENTS,
    &unknown_variable::UNKNOWN_VARIABLE,
    &unknown_import::UNKNOWN_IMPORT,
    &unknown_site_key::UNKNOWN_SITE_KEY,
    &unknown_server::UNKNOWN_SERVER,
    &unknown_cmdlet::UNKNOWN_CMDLET,
    &wrong_cmdlet_parameter::WRONG_CMDLET_PARAMETER,
    &sql_syntax::SQL_SYNTAX,
    &duplicate_step::DUPLICATE_STEP,
    &unreachable_code::UNREACHABLE_CODE,
    &unused_variable::UNUSED_VARIABLE,
    &unused_import::UNUSED_IMPORT,
    &unused_function::UNUSED_FUNCTION,
    &shadowed_site::SHADOWED_SITE,
    &return_in_step::RETURN_IN_STEP,
    &change_without_confirm::CHANGE_WITHOUT_CONFIRM,
    &change_in_query::CHANGE_IN_QUERY,
    &irreversible_without_word::IRREVERSIBLE_WITHOUT_WORD,
    &recovered_too_early::RECOVERED_TOO_EARLY,
    &restored_before_copied::RESTORED_BEFORE_COPIED,
    &pool_switched_too_early::POOL_SWITCHED_TOO_EARLY,
    &facts_deleted_first::FACTS_DELETED_FIRST,
    &unverified_change::UNVERIFIED_CHANGE,
    &sql_from_data::SQL_FROM_DATA,
    &sessions_killed_blindly::SESSIONS_KILLED_BLINDLY,
    &swallowed_error::SWALLOWED_ERROR,
    &endless_wait::ENDLESS_WAIT,
    &change_in_done_when::CHANGE_IN_DONE_WHEN,
    &effect_outside_step::EFFECT_OUTSIDE_STEP,
    &literal_secret::LITERAL_SECRET,
    &literal_host::LITERAL_HOST,
    &typographic_dash::TYPOGRAPHIC_DASH,
    &compliance_database_touched::COMPLIANCE_DATABASE_TOUCHED,
    &indirect_call::INDIRECT_CALL,
    &captured_write::CAPTURED_WRITE,
    &pool_state_implicit::POOL_STATE_IMPLICIT,
    &forced_cmdlet::FORCED_CMDLET,
    &active_servers_replaced::ACTIVE_SERVERS_REPLACED,
    &allow_without_reason::ALLOW_WITHOUT_REASON,
    &unused_allow::UNUSED_ALLOW,
];
