//! How behaviours become tests.

/// Makes one test per behaviour; each gets a place of its own, or ends at once where a server for it is missing. A
/// behaviour that no list names is dead code, and warned of.
#[macro_export]
macro_rules! behaviours {
    ($contract:ident, $make:path, $($module:ident: $($behaviour:ident)+;)+) => {
        $(mod $module {
            use super::super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    let Some(place) = $make().await else {
                        return;
                    };
                    support::$contract::$module::$behaviour(&place).await;
                }
            )+
        })+
    };
}
