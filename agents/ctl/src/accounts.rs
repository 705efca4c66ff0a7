//! Users and groups as sysusers.d(5) makes them: passwd(5) and group(5) below the root.

use std::fs;

use roundsman_kit::Paths;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub uid: u32,
    /// The id of its own group.
    pub gid: u32,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub gid: u32,
    /// The names of those who are in it besides those whose own group it is.
    pub members: Vec<String>,
}

/// The user called `name`, if it is in `/etc/passwd`.
pub fn user(paths: &Paths, name: &str) -> Option<User> {
    let fields = entry(paths, "/etc/passwd", name)?;
    Some(User {
        uid: fields.get(2)?.parse().ok()?,
        gid: fields.get(3)?.parse().ok()?,
    })
}

/// The group called `name`, if it is in `/etc/group`.
pub fn group(paths: &Paths, name: &str) -> Option<Group> {
    let fields = entry(paths, "/etc/group", name)?;
    let members = fields.get(3).map_or("", String::as_str).split(',');
    Some(Group {
        gid: fields.get(2)?.parse().ok()?,
        members: members
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

fn entry(paths: &Paths, file: &str, name: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(paths.at(file)).ok()?;
    let lines = text.lines().map(|line| line.split(':'));
    let mut found = lines.filter(|fields| fields.clone().next() == Some(name));
    found
        .next()
        .map(|fields| fields.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_and_absent_ones_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path());
        assert_eq!(group(&paths, "roundsman"), None);
        fs::create_dir(dir.path().join("etc")).unwrap();
        fs::write(dir.path().join("etc/passwd"), "a:x:7:8:A:/:/bin/sh\nbad\n").unwrap();
        fs::write(dir.path().join("etc/group"), "g:x:9:a,b\nempty:x:10:\n").unwrap();
        assert_eq!(user(&paths, "a"), Some(User { uid: 7, gid: 8 }));
        assert_eq!(user(&paths, "bad"), None);
        assert_eq!(group(&paths, "g").unwrap().members, ["a", "b"]);
        assert_eq!(
            group(&paths, "empty"),
            Some(Group {
                gid: 10,
                members: vec![]
            })
        );
    }
}
