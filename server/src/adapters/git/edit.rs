//! What edits make of files: the one function by which a preview shows a change and a commit makes it.

use std::collections::HashMap;

use domain::artifact::{DeclaredImage, ExactImage};
use git2::Oid;

use super::{
    DeclaredService, Expected, PlaceEdit, ServicePlace,
    fault::LocalError,
    files::{File, Files},
    values::{self, Outline, ValuesError},
};

/// So many outlines are kept from batch to batch.
const MOST_OUTLINES: usize = 200;

/// Outlines of values files, by path and the object name of their content: files of different environments may have the same content, and
/// each is changed for itself.
#[derive(Debug, Default)]
pub(super) struct Outlines(HashMap<(String, Oid), Outline>);

impl Outlines {
    /// The outline of a file, to be changed with it. That of a file as it was read is kept: a push may be lost, and the file read again.
    fn take(&mut self, file: &File, place: &ServicePlace) -> Option<Outline> {
        match file.is_as_read() {
            true => Some(self.of(file, place).clone()),
            false => self.0.remove(&(place.path.clone(), file.id)),
        }
    }

    pub(super) fn keep(&mut self, path: &str, id: Oid, outline: Option<Outline>) {
        if let Some(outline) = outline {
            self.0.insert((path.to_owned(), id), outline);
        }
    }

    /// Forgets all when there are many. Within a batch each is needed again and again.
    pub(super) fn limit(&mut self) {
        if self.0.len() > MOST_OUTLINES {
            self.0.clear();
        }
    }

    fn of(&mut self, file: &File, place: &ServicePlace) -> &Outline {
        let known = self.0.entry((place.path.clone(), file.id));
        known.or_insert_with(|| Outline::of(&file.text, &place.prefix))
    }
}

/// A file that edits change.
pub(super) struct Edited {
    /// Its path in the repository.
    pub(super) path: String,
    /// What it becomes.
    pub(super) text: Vec<u8>,
    /// Whether there was no such file.
    pub(super) is_new: bool,
    /// Where its services stand now, when that is known.
    pub(super) outline: Option<Outline>,
}

/// The files that `edits` change, and what they become. Each edit sees what those before it made; the files themselves stay as they are.
///
/// # Errors
/// When one of the edits can't be made with certainty: then none is.
pub(super) fn edit(
    files: &mut Files<'_>,
    outlines: &mut Outlines,
    edits: &[PlaceEdit],
) -> Result<Vec<Edited>, LocalError> {
    let mut edited: Vec<Edited> = Vec::new();
    for edit in edits {
        let path = &edit.place.path;
        if let Some(earlier) = edited.iter_mut().find(|earlier| earlier.path == *path) {
            earlier.text = values::edit_with(&mut earlier.outline, &earlier.text, edit)
                .map_err(|error| refused(&edit.place, &error))?;
            continue;
        }
        let file = files.read(path)?;
        if file.is_none() && !edit.may_create {
            return Err(LocalError::NoFile { path: path.clone() });
        }
        let (text, id) = file.map_or((&[][..], None), |file| (&file.text, Some(file.id)));
        let mut outline = file.and_then(|file| outlines.take(file, &edit.place));
        match values::edit_with(&mut outline, text, edit) {
            Ok(new) if new != text => edited.push(Edited {
                path: path.clone(),
                text: new,
                is_new: id.is_none(),
                outline,
            }),
            unchanged => {
                if let Some(id) = id {
                    outlines.keep(path, id, outline);
                }
                unchanged.map_err(|error| refused(&edit.place, &error))?;
            }
        }
    }
    // Edits may undo each other.
    let mut changed = Vec::with_capacity(edited.len());
    for one in edited {
        if files.read(&one.path)?.is_none_or(|file| file.text != one.text) {
            check_beside(&changed, &one)?;
            changed.push(one);
        }
    }
    Ok(changed)
}

/// Files that are made by the same edits must be able to stand beside each other: those that are there were held against the tree.
fn check_beside(others: &[Edited], new: &Edited) -> Result<(), LocalError> {
    let is_in_the_way = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
    let path = new.path.to_lowercase();
    for other in others.iter().filter(|other| new.is_new || other.is_new) {
        let others = other.path.to_lowercase();
        if is_in_the_way(&path, &others) || is_in_the_way(&others, &path) {
            return Err(LocalError::Values {
                path: new.path.clone(),
                reason: format!(
                    "it and {} can't stand beside each other; correct the path templates",
                    other.path
                ),
            });
        }
    }
    Ok(())
}

/// Whether one of the services to be edited says something else than expected, was switched off, or is gone. A file that can't be read
/// counts as expected: the edit refuses it.
pub(super) fn is_moved(
    files: &mut Files<'_>,
    outlines: &mut Outlines,
    edits: &[PlaceEdit],
    expected: &Expected,
) -> Result<bool, LocalError> {
    for edit in edits {
        let is_one_of =
            |image: &DeclaredImage| says(image, &edit.image) || expected.images.iter().any(|one| says(image, one));
        let is_as_expected = match declared(files, outlines, edit)? {
            Declared::Unreadable => true,
            Declared::Nothing => false,
            Declared::Service(service) => is_one_of(&service.image) && (service.enabled || expected.switched_off),
        };
        if !is_as_expected {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether every service to be edited has the image that its edit would write, whatever else there is to write.
pub(super) fn has_images(
    files: &mut Files<'_>,
    outlines: &mut Outlines,
    edits: &[PlaceEdit],
) -> Result<bool, LocalError> {
    for edit in edits {
        match declared(files, outlines, edit)? {
            Declared::Service(service) if says(&service.image, &edit.image) => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// What a file says of a service.
enum Declared {
    Unreadable,
    Nothing,
    Service(DeclaredService),
}

fn declared(files: &mut Files<'_>, outlines: &mut Outlines, edit: &PlaceEdit) -> Result<Declared, LocalError> {
    let ServicePlace { path, prefix, service } = &edit.place;
    let Some(file) = files.read(path)? else {
        return match edit.may_create {
            true => Ok(Declared::Nothing),
            false => Err(LocalError::NoFile { path: path.clone() }),
        };
    };
    let outline = outlines.of(file, &edit.place);
    let services = match outline.alone(&file.text, prefix, service) {
        Some(alone) => values::services(&alone, ""),
        None => values::services(&file.text, prefix),
    };
    Ok(match services {
        Err(_) => Declared::Unreadable,
        Ok(services) => {
            let found = services.into_iter().find(|declared| declared.name == *service);
            found.map_or(Declared::Nothing, Declared::Service)
        }
    })
}

/// Whether a declaration names an image; by its tag, where it has no digest.
fn says(declared: &DeclaredImage, image: &ExactImage) -> bool {
    declared.repository.as_ref() == Some(&image.repository)
        && match &declared.digest {
            Some(digest) => *digest == image.digest,
            None => declared.tag.is_some() && declared.tag == image.tag,
        }
}

fn refused(place: &ServicePlace, error: &ValuesError) -> LocalError {
    LocalError::Values {
        path: place.path.clone(),
        reason: error.to_string(),
    }
}
