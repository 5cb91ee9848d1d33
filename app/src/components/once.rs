//! A part of a page that follows wholly from what was read: written once for all who read the same.
//!
//! When many look at one board, they are shown the same table within the same second, so the server keeps the last few it
//! wrote (`make bench` says what a page takes with that and without). Also the first time it is written straight out: nothing in
//! it is waited for, and Leptos need not walk it to find out. In the browser such a part is a view like any other.

#[cfg(not(feature = "ssr"))]
use leptos::prelude::AnyView;

/// A part of a page that follows from `key` alone. Nothing in it may be waited for, and nothing in it may differ between two
/// who have the same key: what the reader may do belongs into the key.
#[cfg(not(feature = "ssr"))]
#[must_use]
pub fn once<K>(_key: K, view: impl FnOnce() -> AnyView + Send + 'static) -> AnyView {
    view()
}

#[cfg(feature = "ssr")]
pub use written::once;

#[cfg(feature = "ssr")]
mod written {
    use leptos::{
        attr::{Attribute, any_attribute::AnyAttribute},
        prelude::{AddAnyAttr, AnyView, IntoAny, Render, RenderHtml},
        tachys::{
            hydration::Cursor,
            view::{Position, PositionState, any_view::AnyViewState},
        },
    };
    use std::{
        any::Any,
        collections::VecDeque,
        sync::{Arc, Mutex, PoisonError},
    };

    /// How many are kept, and how many bytes: those of the last moment, since keys hold the second.
    const MOST: usize = 8;
    const MOST_BYTES: usize = 4 * 1024 * 1024;

    /// What the server wrote last.
    static KEPT: Written = Written::new();

    /// Parts that were written, newest last.
    struct Written(Mutex<VecDeque<Part>>);

    #[derive(Clone)]
    struct Part {
        key: Arc<dyn Any + Send + Sync>,
        /// Where it stands, which decides of markers between texts, and where what follows stands.
        begins: Position,
        ends: Position,
        escape: bool,
        html: Arc<str>,
    }

    impl Written {
        const fn new() -> Self {
            Self(Mutex::new(VecDeque::new()))
        }

        fn find<K: PartialEq + 'static>(&self, key: &K, begins: Position, escape: bool) -> Option<Part> {
            // Others are not kept waiting while keys are compared.
            let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let is_it = |part: &Part| {
                part.begins == begins && part.escape == escape && part.key.downcast_ref::<K>() == Some(key)
            };
            parts.into_iter().rev().find(is_it)
        }

        fn keep(&self, part: Part) {
            if part.html.len() > MOST_BYTES {
                return;
            }
            let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            parts.push_back(part);
            let mut bytes: usize = parts.iter().map(|part| part.html.len()).sum();
            while parts.len() > MOST || bytes > MOST_BYTES {
                bytes -= parts.pop_front().map_or(bytes, |old| old.html.len());
            }
        }
    }

    /// A part of a page that follows from `key` alone. Nothing in it may be waited for, and nothing in it may differ between two
    /// who have the same key: what the reader may do belongs into the key.
    #[must_use]
    pub fn once<K>(key: K, view: impl FnOnce() -> AnyView + Send + 'static) -> AnyView
    where
        K: PartialEq + Send + Sync + 'static,
    {
        Once {
            kept: &KEPT,
            key,
            view: Box::new(view),
        }
        .into_any()
    }

    struct Once<K> {
        kept: &'static Written,
        key: K,
        view: Box<dyn FnOnce() -> AnyView + Send>,
    }

    impl<K: Send + Sync + 'static> Render for Once<K> {
        type State = AnyViewState;

        fn build(self) -> Self::State {
            (self.view)().build()
        }

        fn rebuild(self, state: &mut Self::State) {
            (self.view)().rebuild(state);
        }
    }

    impl<K: Send + Sync + 'static> AddAnyAttr for Once<K> {
        type Output<SomeNewAttr: Attribute> = AnyView;

        fn add_any_attr<NewAttr: Attribute>(self, attr: NewAttr) -> AnyView {
            // The key says nothing of attributes.
            (self.view)().add_any_attr(attr).into_any()
        }
    }

    impl<K: PartialEq + Send + Sync + 'static> RenderHtml for Once<K> {
        type AsyncOutput = Self;
        type Owned = Self;

        const MIN_LENGTH: usize = 0;

        fn dry_resolve(&mut self) {}

        async fn resolve(self) -> Self {
            self
        }

        fn to_html_with_buf(
            self,
            buf: &mut String,
            position: &mut Position,
            escape: bool,
            mark_branches: bool,
            extra_attrs: Vec<AnyAttribute>,
        ) {
            if mark_branches || !extra_attrs.is_empty() {
                (self.view)().to_html_with_buf(buf, position, escape, mark_branches, extra_attrs);
                return;
            }
            if let Some(part) = self.kept.find(&self.key, *position, escape) {
                buf.push_str(&part.html);
                *position = part.ends;
                return;
            }
            let (start, begins) = (buf.len(), *position);
            (self.view)().to_html_with_buf(buf, position, escape, mark_branches, extra_attrs);
            self.kept.keep(Part {
                key: Arc::new(self.key),
                begins,
                ends: *position,
                escape,
                html: buf[start..].into(),
            });
        }

        fn hydrate<const FROM_SERVER: bool>(self, cursor: &Cursor, position: &PositionState) -> Self::State {
            (self.view)().hydrate::<FROM_SERVER>(cursor, position)
        }

        fn into_owned(self) -> Self {
            self
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::sync::atomic::{AtomicUsize, Ordering};

        #[test]
        fn a_part_is_written_once_for_a_key_and_place() {
            static HERE: Written = Written::new();
            let drawn = Arc::new(AtomicUsize::new(0));
            let html = |key: (u8, &'static str), begins: Position| {
                let drawn = Arc::clone(&drawn);
                let part = Once {
                    kept: &HERE,
                    key,
                    view: Box::new(move || {
                        drawn.fetch_add(1, Ordering::Relaxed);
                        key.1.into_any()
                    }),
                };
                let (mut buf, mut position) = (String::from("<p>"), begins);
                part.to_html_with_buf(&mut buf, &mut position, true, false, Vec::new());
                (buf, position)
            };
            let text = |html: &str| (html.to_owned(), Position::NextChildAfterText);
            for _ in 0..3 {
                assert_eq!(html((1, "a"), Position::FirstChild), text("<p>a"));
            }
            assert_eq!(drawn.load(Ordering::Relaxed), 1);
            // After a text, a marker keeps the two apart.
            assert_eq!(html((1, "a"), Position::NextChildAfterText), text("<p><!>a"));
            assert_eq!(html((2, "b"), Position::FirstChild), text("<p>b"));
            assert_eq!(drawn.load(Ordering::Relaxed), 3);
            for n in 0..=u8::try_from(MOST).unwrap() {
                html((n, "x"), Position::FirstChild);
            }
            let kept = || HERE.0.lock().unwrap().len();
            assert_eq!(kept(), MOST, "old ones make room");
            let large = |n: usize| Part {
                key: Arc::new(n),
                begins: Position::FirstChild,
                ends: Position::NextChild,
                escape: true,
                html: "x".repeat(n).into(),
            };
            HERE.keep(large(MOST_BYTES / 2));
            HERE.keep(large(MOST_BYTES / 2));
            assert_eq!(kept(), 2, "by bytes too");
            HERE.keep(large(MOST_BYTES + 1));
            assert_eq!(kept(), 2, "what is too large is not kept");
        }
    }
}
