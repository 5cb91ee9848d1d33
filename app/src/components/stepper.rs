//! The steps of a promotion, one below the other: how each stands, how long it took, and what it found.

use crate::{
    api::promotion::{CopyView, StepStatus, StepView},
    components::icon::icon,
};
use domain::{
    bytes,
    promotion::Step,
    time::{Timestamp, duration},
};
use leptos::prelude::*;

/// Name of a step.
fn title(step: Step) -> &'static str {
    match step {
        Step::Gates => "Gates",
        Step::Resolve => "Resolve",
        Step::Mirror => "Mirror",
        Step::Commit => "Commit",
        Step::Sync => "Sync",
        Step::Verify => "Verify",
    }
}

/// What a step does, for those who see it the first time.
fn purpose(step: Step) -> &'static str {
    match step {
        Step::Gates => "Waits for what the environment asks for",
        Step::Resolve => "Makes sure the exact image is in the registry",
        Step::Mirror => "Copies the image to the target's registry",
        Step::Commit => "Commits and pushes the change to Git",
        Step::Sync => "Brings Argo CD to the commit",
        Step::Verify => "Proves that the promised digest is live",
    }
}

/// Word, icon and class of a status; the word says what the icon shows.
fn status(status: StepStatus) -> (&'static str, &'static str, &'static str) {
    match status {
        StepStatus::Done => ("Done", "good", "good"),
        StepStatus::Now => ("Under way", "moving", "moving"),
        StepStatus::ToDo => ("To come", "todo", "todo"),
        StepStatus::Failed => ("Failed", "bad", "bad"),
        StepStatus::Skipped => ("Skipped", "ended", "skipped"),
    }
}

/// How long a step took, or takes so far; `None` when it didn't begin.
fn span(step: &StepView, now: Timestamp) -> Option<String> {
    let began = step.began_at?;
    match (step.status, step.ended_at) {
        (StepStatus::Skipped | StepStatus::ToDo, _) => None,
        (_, Some(ended)) => Some(duration(ended.millis_since(began))),
        // Tenths of a second mean nothing while it goes on.
        (StepStatus::Now, None) => Some(duration(now.millis_since(began) / 1000 * 1000)),
        (_, None) => None,
    }
}

/// The steps.
#[component]
pub fn Stepper(
    /// In order.
    steps: Vec<StepView>,
    /// The copy of the image, where there is one.
    #[prop(optional_no_strip)]
    copy: Option<CopyView>,
    /// The server's clock, up to which a step under way is counted.
    now: Signal<Timestamp>,
) -> AnyView {
    let rows: Vec<_> = (steps.into_iter())
        .map(|step| {
            let copied = copy.as_ref().filter(|_| step.step == Step::Mirror);
            let more = copied.and_then(|copy| how_far(copy, step.status));
            row(step, more, now)
        })
        .collect();
    view! { <ol class="stepper">{rows}</ol> }.into_any()
}

/// What a copy has to do, and while it goes on how far it is.
fn how_far(copy: &CopyView, status: StepStatus) -> Option<AnyView> {
    let plan = copy
        .plan
        .as_ref()
        .filter(|_| matches!(status, StepStatus::Now | StepStatus::Failed))?;
    let is_moving = status == StepStatus::Now;
    let done = copy.progress.bytes.min(plan.bytes);
    let bar = is_moving.then(|| {
        let said = format!("{} of {}", bytes::shown(done), bytes::shown(plan.bytes));
        view! {
            <div class="row tight">
                <progress max=plan.bytes.max(1) value=done aria-label="Copied"></progress>
                <span class="note">{said}</span>
            </div>
        }
    });
    let route = format!("{} → {}", copy.from, copy.to);
    let problem = copy.problem.clone().filter(|_| is_moving);
    let view = view! {
        <p class="note mono">{route}</p>
        <p class="note">{plan.words()}</p>
        {bar}
        {problem.map(|problem| view! { <p class="note">{problem}</p> })}
    };
    Some(view.into_any())
}

fn row(step: StepView, more: Option<AnyView>, now: Signal<Timestamp>) -> AnyView {
    let (word, icon_name, class) = status(step.status);
    let is_now = step.status == StepStatus::Now;
    // What was skipped needs no words but its reason.
    let help = (step.status != StepStatus::Skipped).then(|| purpose(step.step).to_owned());
    let note = step.note.clone().or(help);
    view! {
        <li class=format!("step {class}") aria-current=is_now.then_some("step")>
            {icon(icon_name)}
            <div class="body">
                <p class="head">
                    <span class="title">{title(step.step)}</span>
                    <span class="status">{word}</span>
                    <span class="span">{move || span(&step, now.get())}</span>
                </p>
                {note.map(|note| view! { <p class="note">{note}</p> })}
                {more}
            </div>
        </li>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_of_steps_that_began() {
        let step = |status, began: Option<i64>, ended: Option<i64>| StepView {
            step: Step::Sync,
            status,
            began_at: began.map(Timestamp),
            ended_at: ended.map(Timestamp),
            note: None,
        };
        let now = Timestamp(20_500);
        for (status, began, ended, want) in [
            (StepStatus::Done, Some(1_000), Some(1_140), Some("140 ms")),
            (StepStatus::Failed, Some(1_000), Some(4_200), Some("3.2 s")),
            (StepStatus::Now, Some(18_000), None, Some("2.0 s")),
            (StepStatus::ToDo, None, None, None),
            (StepStatus::Skipped, Some(1_000), Some(1_000), None),
        ] {
            assert_eq!(span(&step(status, began, ended), now).as_deref(), want, "{status:?}");
        }
    }
}
